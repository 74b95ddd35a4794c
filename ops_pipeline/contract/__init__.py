"""The words the outside world may rely on: events, reasons, lines, configuration.

Standard library, and pydantic for the configuration.
"""
