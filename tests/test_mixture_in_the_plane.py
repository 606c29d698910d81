def test_a(visit):
    import time

    page = visit("mixture_in_the_plane")
    t = time.perf_counter()
    page.run()
    print("plain", time.perf_counter() - t)
    for s in page.sections():
        t = time.perf_counter()
        page.open(s)
        print(s, time.perf_counter() - t)
    page.open()
    names = ("start_x1", "start_y1", "start_x2", "start_y2", "start_sd_x1", "start_sd_y1")
    for d in ("Iris: petals", "Two rings", "Simulated", "Old Faithful"):
        page.set(data=d)
        print(
            d,
            page.status,
            [page.value(n) for n in names],
            page.at.caption[0].value,
            [x.value for x in page.at.caption][:4],
        )
    page.set(data="Iris: petals", find=4)
    print([page.value(n) for n in names])
    page.set(find=0, start_x1=1.5)
    print([page.value(n) for n in names])
    page.set(situation="A poor local optimum")
    print([page.value(n) for n in names], page.value("situation"))
    page.set(situation="Old Faithful")
    print([page.value(n) for n in names], page.value("situation"))
