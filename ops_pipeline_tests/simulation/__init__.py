"""Simulated traffic: what the watchdog is measured on."""
