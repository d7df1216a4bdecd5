"""telerig: wear a robot, record what happens, train on it, and let the policy drive through the same path.

The code stands in five folders at the repository's root, linked here: :mod:`telerig.hardware`, :mod:`telerig.drivers`,
:mod:`telerig.datasets`, :mod:`telerig.teleop` and :mod:`telerig.policies`.  Importing this package loads nothing else.
"""

__version__ = "0.1.0"
