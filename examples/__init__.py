"""The example studies and scripts: longsurv.examples once installed, so they ship in the wheel."""
