"""Rolling features of a customer: the one definition, used by stream, replay, training and tests."""
