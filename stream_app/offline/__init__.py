"""Work on event logs that lie in files: reading, replay and capture, without Kafka."""
