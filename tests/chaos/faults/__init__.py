"""What goes wrong in a campaign, each a class of its own behind ``port.Fault``."""
