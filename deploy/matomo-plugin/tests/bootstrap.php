<?php

// Where the tests run: on the doubles, or inside a Matomo when MATOMO_DIR names
// one that has the plugin. Both are a World to the tests.

use Piwik\Plugins\ScimBridge\tests\DoubleWorld;
use Piwik\Plugins\ScimBridge\tests\MatomoWorld;
use Piwik\Plugins\ScimBridge\tests\World;

require_once __DIR__ . '/World.php';

$matomo = getenv('MATOMO_DIR');
if ($matomo === false || $matomo === '') {
    require_once __DIR__ . '/doubles.php';
    require_once __DIR__ . '/DoubleWorld.php';
    require_once __DIR__ . '/../ScimBridge/ScimBridge.php';
    require_once __DIR__ . '/../ScimBridge/API.php';
    World::$current = new DoubleWorld();
} else {
    require_once __DIR__ . '/MatomoWorld.php';
    World::$current = new MatomoWorld(rtrim($matomo, '/'));
}
