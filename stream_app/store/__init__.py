"""Where the customers' rows are kept, behind one port."""
