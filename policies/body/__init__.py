"""Body policies: what keeps a humanoid on its feet.  See docs/body.md."""
