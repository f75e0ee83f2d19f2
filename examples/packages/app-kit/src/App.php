<?php

declare(strict_types=1);

namespace Acme\AppKit;

use Acme\Clock\FixedClock;
use Acme\Lib\Greeter;

final class App
{
    public function __construct(private readonly Greeter $greeter, private readonly FixedClock $clock)
    {
    }

    public function run(): string
    {
        return "{$this->clock->now()} {$this->greeter->greet('Composer')}";
    }
}
