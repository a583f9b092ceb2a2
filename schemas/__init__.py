"""The contract between the stream, the training and the world: messages, spec, accepted values and errors."""
