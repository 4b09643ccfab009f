"""The parent only starts a process by fork; the training is the child's."""

import json
import multiprocessing

import torch


def train(results):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = torch.nn.Linear(16, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 16)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results.put(losses)


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=train, args=(results,))
    child.start()
    losses = results.get()
    child.join()
    print(json.dumps({"losses": losses, "status": child.exitcode}))
