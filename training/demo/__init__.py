"""A bank's customers scored live, from nothing, on one machine."""
