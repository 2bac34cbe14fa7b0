"""Mechanisms behind `Data_Mining_project.ipynb`: each module is one idea, importable on its own."""
