"""An episode as a pure function of task, seed and actions. Knows no transport, no store and no framework."""
