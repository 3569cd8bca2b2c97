"""From a registry's text to a drafted definition: what can be read safely is drafted, the rest is asked."""
