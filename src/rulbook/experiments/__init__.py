"""Experiments that train or fit while a chapter runs; long ones are recorded by ``studies``."""
