<?php

/**
 * ScimBridge, companion plugin of matomo-scim-bridge.
 *
 * @link    https://github.com/matomo-scim/bridge
 * @license https://www.gnu.org/licenses/gpl-3.0.html GPL v3 or later
 */

namespace Piwik\Plugins\ScimBridge;

use Piwik\Common;
use Piwik\Date;
use Piwik\Db;
use Piwik\Piwik;
use Piwik\Plugin\Manager;
use Piwik\Plugins\UsersManager\Model;
use Piwik\Tracker\Cache;

/**
 * What Matomo's own API cannot do to another person's account: list and end app
 * tokens, and end web sessions.
 *
 * App tokens survive a change of password and the loss of all access, and work
 * again as soon as any access is granted again. Since Matomo 4 no method of the
 * core lets an administrator end them, short of deleting the account.
 *
 * Every method needs superuser access, and refuses `anonymous` and logins that do
 * not exist. Logins are compared as Matomo's database does: without regard to
 * case and accents.
 *
 * @method static \Piwik\Plugins\ScimBridge\API getInstance()
 */
class API extends \Piwik\Plugin\API
{
    /**
     * @var Model
     */
    private $model;

    public function __construct(Model $model)
    {
        $this->model = $model;
    }

    /**
     * Returns the version of this plugin, for clients to see that it is there and
     * new enough.
     *
     * @return string such as "1.0.0"
     */
    public function getVersion()
    {
        Piwik::checkUserHasSuperUserAccess();

        return Manager::getInstance()->getLoadedPlugin('ScimBridge')->getVersion();
    }

    /**
     * Lists the app tokens with which somebody can sign in now: those that have
     * not expired, Matomo's own system tokens too. Times are UTC. Neither a token
     * nor its hash is ever part of the answer.
     *
     * @param string $userLogin whose tokens
     * @return array[] id, description, date_created, last_used and date_expired
     *                 (both may be null) of each, the oldest first
     */
    public function getTokens($userLogin)
    {
        $login = $this->checkedLogin($userLogin);

        // Columns by name, since the hash must not leave the table. The core's own
        // list leaves system tokens out, which open as much as any other.
        $rows = Db::fetchAll(
            'SELECT idusertokenauth AS id, description, date_created, last_used, date_expired'
            . ' FROM ' . Common::prefixTable('user_token_auth')
            . ' WHERE login = ? AND (date_expired IS NULL OR date_expired > ?)'
            . ' ORDER BY idusertokenauth',
            [$login, Date::now()->getDatetime()]
        );
        foreach ($rows as &$row) {
            $row['id'] = (int) $row['id'];
        }

        return $rows;
    }

    /**
     * Ends somebody's app tokens at once, for the Reporting API and for tracking.
     * Access, password and web sessions stay as they are. Calling it again does no
     * harm.
     *
     * @param string $userLogin whose tokens
     * @param int|string|false $idTokenAuth the id of one token; left out: all of
     *                                      them, expired ones too
     * @return int[] deleted: how many there were
     */
    public function revokeTokens($userLogin, $idTokenAuth = false)
    {
        $login = $this->checkedLogin($userLogin);

        if ($idTokenAuth === false) {
            $result = $this->model->deleteAllTokensForUser($login);
        } else {
            $result = $this->model->deleteToken($this->checkedId($idTokenAuth), $login);
        }
        $deleted = Db::get()->rowCount($result);

        // The tracker keeps token hashes in a cache of its own, for five minutes.
        // It is emptied even when nothing was deleted: the call that deleted may
        // have ended before it came to this.
        Cache::deleteTrackerCache();

        return ['deleted' => $deleted];
    }

    /**
     * Ends all web sessions of somebody at their next request, and the links for
     * a new password that were mailed to them. The password and app tokens stay as
     * they are.
     *
     * Matomo gives up a session that began before the password was last changed,
     * wherever sessions are stored. So that moment is moved to the next second: the
     * comparison is by the second, and a session of this very second must end too.
     *
     * @param string $userLogin whose sessions
     * @return void
     */
    public function logoutUser($userLogin)
    {
        $login = $this->checkedLogin($userLogin);

        $next = Date::factory(Date::now()->getTimestampUTC() + 1);
        $this->model->updateUserFields($login, ['ts_password_modified' => $next->getDatetime()]);
    }

    /**
     * Lets only superusers pass, and only logins that can be acted upon.
     *
     * @param mixed $userLogin as it came with the request
     * @return string the login in the spelling of the user table
     * @throws \Exception with the texts of the UsersManager's own API
     */
    private function checkedLogin($userLogin)
    {
        Piwik::checkUserHasSuperUserAccess();

        // A list of logins, which some methods of the core accept, is not a login.
        $user = is_scalar($userLogin) ? $this->model->getUser((string) $userLogin) : false;
        if (empty($user)) {
            $name = is_scalar($userLogin) ? (string) $userLogin : '(list)';
            throw new \Exception(Piwik::translate('UsersManager_ExceptionUserDoesNotExist', $name));
        }
        if (strtolower($user['login']) === 'anonymous') {
            throw new \Exception(Piwik::translate('UsersManager_ExceptionEditAnonymous'));
        }

        return $user['login'];
    }

    /**
     * Refuses what is not the id of a token: read as a number it would be 0, or
     * the id of another one.
     *
     * @param mixed $idTokenAuth as it came with the request
     * @return int
     * @throws \Exception
     */
    private function checkedId($idTokenAuth)
    {
        if (!is_scalar($idTokenAuth) || !preg_match('/^[1-9][0-9]{0,17}$/D', (string) $idTokenAuth)) {
            throw new \Exception("idTokenAuth must be the id of a token, as getTokens lists it. Leave it out to end all tokens.");
        }

        return (int) $idTokenAuth;
    }
}
