"""What the gateway tells about itself: log lines, counts and Prometheus text."""
