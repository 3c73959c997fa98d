import './base.css';
import './panel.css';
import './form.css';
import './logs.css';
import './details.css';
import './save.css';
import './people.css';
import './devices.css';
