import json

import torch

torch.manual_seed(0)
print(json.dumps({"losses": [torch.randn(4, 4).det().item()]}))
