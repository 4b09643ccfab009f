import json

import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
generator = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
discriminator = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
losses = []
for _ in range(25):
    real = torch.randn(64, 2) * 0.5 + 2
    fake = generator(torch.randn(64, 8))
    discriminator_optimizer.zero_grad()
    wrong = criterion(discriminator(real), torch.ones(64, 1))
    wrong = wrong + criterion(discriminator(fake.detach()), torch.zeros(64, 1))
    wrong.backward()
    discriminator_optimizer.step()

    generator_optimizer.zero_grad()
    fooled = criterion(discriminator(fake), torch.ones(64, 1))
    fooled.backward()
    generator_optimizer.step()
    losses.append([wrong.item(), fooled.item()])
print(json.dumps({"losses": losses}))
