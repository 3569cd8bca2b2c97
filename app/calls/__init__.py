"""What one call does, from the chart to what is kept of the answer."""
