"""The parts of ../census_employment.py, in the order of its story: place, training, endpoint, traffic, report."""
