"""Measurements that anyone can run; figures and conditions in README.md beside this file. Ratios are taken in one run."""
