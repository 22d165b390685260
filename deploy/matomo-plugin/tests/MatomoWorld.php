<?php

namespace Piwik\Plugins\ScimBridge\tests;

use Piwik\Access;
use Piwik\Application\Environment;
use Piwik\Common;
use Piwik\Date;
use Piwik\Db;
use Piwik\Plugins\UsersManager\Model;
use Piwik\Tracker\Cache;

/**
 * A Matomo that is installed in a folder of this machine, with the plugin active.
 * Only accounts that a test adds are touched; they are removed again.
 */
class MatomoWorld extends World
{
    /**
     * @var Model
     */
    private $model;

    /**
     * @var string[]
     */
    private $logins = [];

    public function __construct(string $dir)
    {
        define('PIWIK_DOCUMENT_ROOT', $dir);
        define('PIWIK_INCLUDE_PATH', $dir);
        define('PIWIK_USER_PATH', $dir);
        define('PIWIK_ENABLE_DISPATCH', false);
        require_once $dir . '/core/bootstrap.php';
        $environment = new Environment('cli');
        $environment->init();
        \Piwik\Plugin\Manager::getInstance()->loadActivatedPlugins();
        $this->model = new Model();
        $this->actAsSuperuser(true);
    }

    public function addUser(string $login): void
    {
        $this->logins[] = $login;
        $registered = Date::factory(time() - 3600)->getDatetime();
        $this->model->addUser($login, password_hash('irrelevant', PASSWORD_BCRYPT), $login . '@example.org', $registered);
        // addUser takes this moment for the change of password.
        $this->model->updateUserFields($login, ['ts_password_modified' => $registered]);
    }

    public function addToken(string $login, string $secret, string $description, ?string $expires = null, bool $system = false): int
    {
        return (int) $this->model->addTokenAuth($login, $secret, $description, Date::now()->getDatetime(), $expires, $system);
    }

    public function actAsSuperuser(bool $superuser): void
    {
        Access::getInstance()->setSuperUserAccess($superuser);
    }

    public function tokenIds(string $login): array
    {
        $rows = Db::fetchAll('SELECT idusertokenauth AS id FROM ' . Common::prefixTable('user_token_auth') . ' WHERE login = ? ORDER BY 1', [$login]);
        return array_map('intval', array_column($rows, 'id'));
    }

    public function hashOf(int $idTokenAuth): string
    {
        return Db::fetchOne('SELECT password FROM ' . Common::prefixTable('user_token_auth') . ' WHERE idusertokenauth = ?', [$idTokenAuth]);
    }

    public function sessionsValidSince(string $login): int
    {
        return Date::factory($this->model->getUser($login)['ts_password_modified'])->getTimestampUTC();
    }

    public function fillTrackerCache(): void
    {
        Cache::setCacheGeneral(['ScimBridge' => true] + Cache::getCacheGeneral());
    }

    public function isTrackerCacheFilled(): bool
    {
        return !empty(Cache::getCacheGeneral()['ScimBridge']);
    }

    public function clean(): void
    {
        foreach ($this->logins as $login) {
            $this->model->deleteAllTokensForUser($login);
            Db::query('DELETE FROM ' . Common::prefixTable('user') . ' WHERE login = ?', [$login]);
        }
        $this->logins = [];
        $this->actAsSuperuser(true);
        Cache::deleteTrackerCache();
    }
}
