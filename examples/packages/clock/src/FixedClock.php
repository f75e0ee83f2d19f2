<?php

declare(strict_types=1);

namespace Acme\Clock;

final class FixedClock
{
    public function __construct(private readonly string $time)
    {
    }

    public function now(): string
    {
        return $this->time;
    }
}
