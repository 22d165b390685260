<?php

// Doubles of the few classes of Matomo that the plugin uses: as much of each as
// it uses, with the same names and answers. The user and token tables are real
// ones, in SQLite, so that the plugin's own SQL runs. What the doubles claim is
// held to the truth by running the same tests with MATOMO_DIR.

namespace Piwik {
    class Piwik
    {
        /** @var bool */
        public static $superuser = true;

        public static function checkUserHasSuperUserAccess()
        {
            if (!self::$superuser) {
                throw new \Exception("You can't access this resource as it requires a 'superuser' access.");
            }
        }

        public static function translate($id, $args = [])
        {
            return $id . ' ' . implode(' ', (array) $args);
        }
    }

    class Common
    {
        public static function prefixTable($table)
        {
            return 'matomo_' . $table;
        }
    }

    class Date
    {
        /** @var int */
        private $timestamp;

        public static function now()
        {
            return self::factory(time());
        }

        public static function factory($timestamp)
        {
            $date = new self();
            $date->timestamp = (int) $timestamp;
            return $date;
        }

        public function getTimestampUTC()
        {
            return $this->timestamp;
        }

        public function getDatetime()
        {
            return gmdate('Y-m-d H:i:s', $this->timestamp);
        }
    }

    class Db
    {
        /** @var \PDO|null */
        public static $pdo;

        public static function get()
        {
            return new self();
        }

        public static function fetchAll($sql, $parameters = [])
        {
            return self::run($sql, $parameters)->fetchAll(\PDO::FETCH_ASSOC);
        }

        public function rowCount($queryResult)
        {
            return $queryResult->rowCount();
        }

        public static function run($sql, array $parameters)
        {
            $statement = self::$pdo->prepare($sql);
            $statement->execute($parameters);
            return $statement;
        }
    }

    class Plugin
    {
    }
}

namespace Piwik\Plugin {
    class API
    {
    }

    class Manager
    {
        public static function getInstance()
        {
            return new self();
        }

        public function getLoadedPlugin($name)
        {
            return new class ($name) {
                private $name;

                public function __construct($name)
                {
                    $this->name = $name;
                }

                public function getVersion()
                {
                    return json_decode(file_get_contents(__DIR__ . "/../{$this->name}/plugin.json"), true)['version'];
                }
            };
        }
    }
}

namespace Piwik\Plugins\UsersManager {
    use Piwik\Db;

    class Model
    {
        public function getUser($userLogin)
        {
            return Db::run('SELECT * FROM matomo_user WHERE login = ?', [$userLogin])->fetch(\PDO::FETCH_ASSOC);
        }

        public function deleteAllTokensForUser($login)
        {
            return Db::run('DELETE FROM matomo_user_token_auth WHERE login = ?', [$login]);
        }

        public function deleteToken($idTokenAuth, $login)
        {
            return Db::run('DELETE FROM matomo_user_token_auth WHERE idusertokenauth = ? AND login = ?', [$idTokenAuth, $login]);
        }

        public function updateUserFields($userLogin, $fields)
        {
            foreach ($fields as $key => $value) {
                Db::run("UPDATE matomo_user SET $key = ? WHERE login = ?", [$value, $userLogin]);
            }
        }
    }
}

namespace Piwik\Tracker {
    class Cache
    {
        /** @var bool */
        public static $filled = false;

        public static function deleteTrackerCache()
        {
            self::$filled = false;
        }
    }
}
