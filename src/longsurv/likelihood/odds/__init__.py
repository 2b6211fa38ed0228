"""Proportional odds of two groups, one outcome a patient: the thresholds profiled out.

loglik.py  the log-likelihood of the log odds ratio at the best thresholds, and its derivatives
"""
