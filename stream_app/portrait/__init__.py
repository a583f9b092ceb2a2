"""Portraits of customers: a pure function of a row, a bundle and a time; where rows come from; and plain words."""
