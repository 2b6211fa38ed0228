"""What a cohort like this one could show.

characteristics.py   many cohorts, analysed as the study was: power, coverage, bias, wrong signs
worlds.py            simulated markers
deaths.py            simulated survival
"""
