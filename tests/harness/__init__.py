"""Real servers for Kiseki's tests: each is started in a temporary folder on a free port and is
gone when the test ends. Standard library only; Debian 12's Python 3.11 runs it."""
