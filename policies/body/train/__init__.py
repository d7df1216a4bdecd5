"""Training of body policies in simulation; start at :mod:`telerig.policies.body.train.trainer`."""
