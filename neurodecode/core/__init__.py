"""Words every room uses: errors, facts, names, options, seeds."""
