"""From a folder of photos to a network of one's own: look, propose, correct, train, report.

    python -m helpers.mine FOLDER

leads through it; `helpers.mine.project` holds the state, and every step is a module.
"""
