<?php

namespace Piwik\Plugins\ScimBridge\tests;

use Piwik\Db;
use Piwik\Piwik;
use Piwik\Tracker\Cache;

/**
 * A Matomo made of doubles, with its tables in SQLite.
 */
class DoubleWorld extends World
{
    public function __construct()
    {
        Db::$pdo = new \PDO('sqlite::memory:', null, null, [\PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION]);
        Db::$pdo->exec('CREATE TABLE matomo_user (login VARCHAR(100) COLLATE NOCASE PRIMARY KEY, ts_password_modified TIMESTAMP NULL)');
        Db::$pdo->exec('CREATE TABLE matomo_user_token_auth (idusertokenauth INTEGER PRIMARY KEY AUTOINCREMENT,'
            . ' login VARCHAR(100) COLLATE NOCASE NOT NULL, description VARCHAR(100) NOT NULL, password VARCHAR(191) NOT NULL UNIQUE,'
            . ' system_token INT NOT NULL, last_used DATETIME NULL, date_created DATETIME NOT NULL, date_expired DATETIME NULL)');
        $this->clean();
    }

    public function addUser(string $login): void
    {
        Db::run('INSERT INTO matomo_user VALUES (?, ?)', [$login, gmdate('Y-m-d H:i:s', time() - 3600)]);
    }

    public function addToken(string $login, string $secret, string $description, ?string $expires = null, bool $system = false): int
    {
        Db::run(
            'INSERT INTO matomo_user_token_auth (login, description, password, system_token, date_created, date_expired) VALUES (?, ?, ?, ?, ?, ?)',
            [$login, $description, hash('sha512', $secret), (int) $system, gmdate('Y-m-d H:i:s'), $expires]
        );
        return (int) Db::$pdo->lastInsertId();
    }

    public function actAsSuperuser(bool $superuser): void
    {
        Piwik::$superuser = $superuser;
    }

    public function tokenIds(string $login): array
    {
        $rows = Db::fetchAll('SELECT idusertokenauth FROM matomo_user_token_auth WHERE login = ? ORDER BY 1', [$login]);
        return array_map('intval', array_column($rows, 'idusertokenauth'));
    }

    public function hashOf(int $idTokenAuth): string
    {
        return Db::fetchAll('SELECT password FROM matomo_user_token_auth WHERE idusertokenauth = ?', [$idTokenAuth])[0]['password'];
    }

    public function sessionsValidSince(string $login): int
    {
        return strtotime(Db::fetchAll('SELECT ts_password_modified AS ts FROM matomo_user WHERE login = ?', [$login])[0]['ts'] . ' UTC');
    }

    public function fillTrackerCache(): void
    {
        Cache::$filled = true;
    }

    public function isTrackerCacheFilled(): bool
    {
        return Cache::$filled;
    }

    public function clean(): void
    {
        Db::$pdo->exec("DELETE FROM matomo_user_token_auth; DELETE FROM matomo_user; INSERT INTO matomo_user VALUES ('anonymous', NULL)");
        Piwik::$superuser = true;
        Cache::$filled = false;
    }
}
