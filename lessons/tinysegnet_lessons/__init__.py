"""Code that only the lessons use: graders of the exercises, figures, planted bugs. The library never imports it."""
