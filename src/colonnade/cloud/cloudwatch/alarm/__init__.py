"""Alarms: on a metric, on an expression over metrics, or on other alarms."""
