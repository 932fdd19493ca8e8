"""Tests by real S3 clients, and by requests that no client makes."""
