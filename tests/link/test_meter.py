from skerry.link.meter import Count, Meter


def test_each_purpose_and_direction_is_counted_apart():
    meter = Meter().count_sent("heartbeat", 12).count_sent("heartbeat", 10).count_received("image", 65_536)
    assert meter.sent == {"heartbeat": Count(2, 22)}
    assert meter.received == {"image": Count(1, 65_536)}
    assert meter.bytes == 65_558


def test_a_meter_is_a_value():
    first = Meter()
    second = first.count_sent("facts", 5)
    assert first == Meter()
    assert second != first
