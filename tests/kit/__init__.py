"""Starts the real parts that tests need: Kafka, Redis, workers as processes."""
