"""What every network here expects of its input: ImageNet's mean and deviation, for RGB in [0, 1].

The U²-Net code, torchvision's weights and the report (section 4) share them. Without torch, for what runs without it.
"""

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
