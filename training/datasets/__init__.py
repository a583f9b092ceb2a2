"""Data sets behind one port, each written as an interchange folder."""
