<?php

/**
 * ScimBridge, companion plugin of matomo-scim-bridge.
 *
 * @link    https://github.com/matomo-scim/bridge
 * @license https://www.gnu.org/licenses/gpl-3.0.html GPL v3 or later
 */

namespace Piwik\Plugins\ScimBridge;

use Piwik\Plugin;

/**
 * The plugin as Matomo's plugin manager sees it. It has no page, no setting, no
 * table and no hook: all it adds are the methods of {@see API}.
 */
class ScimBridge extends Plugin
{
}
