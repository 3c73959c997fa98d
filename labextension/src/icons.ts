import { LabIcon } from '@jupyterlab/ui-components';

import clock from '../style/icons/clock.svg';
import compute from '../style/icons/compute.svg';
import database from '../style/icons/database.svg';
import eye from '../style/icons/eye.svg';
import follow from '../style/icons/follow.svg';
import image from '../style/icons/image.svg';
import logs from '../style/icons/logs.svg';
import pull from '../style/icons/pull.svg';
import restart from '../style/icons/restart.svg';
import snapshot from '../style/icons/snapshot.svg';
import wrap from '../style/icons/wrap.svg';

const icon = (name: string, svgstr: string) =>
  new LabIcon({ name: `jupyter-ext:${name}`, svgstr });

export const computeIcon = icon('compute', compute);
export const imageIcon = icon('image', image);
export const logsIcon = icon('logs', logs);
export const pullIcon = icon('pull', pull);
export const restartIcon = icon('restart', restart);
export const followIcon = icon('follow', follow);
export const wrapIcon = icon('wrap', wrap);
export const clockIcon = icon('clock', clock);
export const databaseIcon = icon('database', database);
export const eyeIcon = icon('eye', eye);
export const snapshotIcon = icon('snapshot', snapshot);
