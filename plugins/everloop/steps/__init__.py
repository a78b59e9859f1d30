"""What the loop does, one plain function a step: gather, decide, apply."""
