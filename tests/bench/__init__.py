"""Loads Kiseki and its peers in turns and compares them; the command is tests/bench/run."""
