"""What `foretell doctor` looks at: the brokers, the store, and what stands on this machine."""
