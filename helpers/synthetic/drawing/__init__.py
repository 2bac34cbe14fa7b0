"""Painting procedural portraits: a 2D painter in scale-free units, one idea a module.

`scene` frames one or two people before a `backdrop`; `person` paints each of them, layer over layer, on a `canvas`
that keeps colour, exact alpha and class ids together; `camera` turns the finished composite into a photograph.
"""
