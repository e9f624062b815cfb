"""Worker classes that are driven from Python: one file each, and `base`, what one of your own derives from.

Owns nothing. Read next: base.py.
"""
