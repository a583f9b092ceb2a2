"""Tells what a training found as one HTML page that needs nothing else: no network, no other file, no script to read.

In the order of the data flow: `story` (what there is to tell) and `census` (of the data), `curves` (from scores to
points), `chart` (from points to SVG), `markup` (from text to HTML), then the parts of the page: `summary`, `meaning`,
`task`, `figures`, `tables`, `course`, `sources`, and `page`, which puts them together.
"""
