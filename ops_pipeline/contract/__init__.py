"""The words the outside world may rely on: events, reasons, lines, configuration.

Standard library only; the configuration also needs pydantic.
"""
